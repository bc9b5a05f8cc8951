"""What runs, tests and checks this project on one machine: `python -m tools --help`.

Nothing in here is deployed, and nothing in `webhook/` imports it.
"""
