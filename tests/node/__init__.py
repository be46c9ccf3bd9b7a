"""Programs from npm that tests check ours against; `package-lock.json` pins them."""
