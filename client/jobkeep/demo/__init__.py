"""`jobkeep demo`: a real batch that is killed twice and loses nothing, and jobs that do not want to end."""
