"""The client library on asyncio and trio; `plain` alone is for fast commands. Nothing is imported here."""
