"""Alerts: reads the outbox, gathers by core.alert_rules, and delivers to hooks, Apprise services and the log."""
