"""The publisher's view: what `managedapps` shows of the applications, and what it mends in the tables.

A module that is named after a command holds its options and what it prints; the others are what the commands share.
"""
