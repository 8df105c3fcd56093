"""What tools for many runs share: a folder for the group, and processes that train one run each."""
