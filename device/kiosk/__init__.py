"""The officer's and the citizen's screens: a Flask app on loopback inside the agent."""
