"""What kit, fleet and competent service agree on; imports none of our other rooms."""
