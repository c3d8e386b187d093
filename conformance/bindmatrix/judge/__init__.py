"""Compares observations with what the oracle expects, and sums up.

Observations come from ``observe``; the view-models go to ``report``.
"""
