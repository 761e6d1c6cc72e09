"""The figures and theorems of Reddi, Kale and Kumar 2018, one declaration a file."""
