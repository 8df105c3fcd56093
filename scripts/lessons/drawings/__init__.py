"""Pictures of the lessons, one module a lesson: values in, matplotlib Figure out.

They are kept apart so that a lesson shows its idea only. Only the lessons import them.
"""
