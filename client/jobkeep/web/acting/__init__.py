"""What may be changed: each a POST of a form, answered by a toast or by the page that it came from."""
