"""A Marketplace on the publisher's desk: `managedapps simulate` and `send`, to test a webhook against."""
