"""A program with errors is for checkers alone."""

collect_ignore = ["user_program.py", "check.py"]
