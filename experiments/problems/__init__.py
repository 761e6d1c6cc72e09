"""What a trial is about: linear functions of one number, and images of handwritten digits."""
