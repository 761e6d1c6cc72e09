"""What has been said since the paper, one declaration a file."""
