"""What the machine has, and whether a folder is as it was written."""
