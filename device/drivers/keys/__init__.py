"""Where a kit's key material lives: sources behind `ports.KeySource` that speak to hardware."""
