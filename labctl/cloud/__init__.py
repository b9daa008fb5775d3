"""A lab's cloud: addresses, endpoints, credentials, and how to speak to it from outside its nodes."""
