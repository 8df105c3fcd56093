"""What several tools share: opening a trained run, and tables in the README files."""
