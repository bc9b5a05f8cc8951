"""What a call costs, measured against the least that a webhook can do: `python -m tools bench`.

The figures of one table come from one run, side by side, round by round, and are good as ratios; docs/performance.md
explains each. Nothing here is deployed.
"""
