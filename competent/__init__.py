"""The competent service's side: the tool that opens a sealed application, and a reference service."""
