"""From the wire's JSON to text: pure functions. The moment, the width and the colours are arguments (Style)."""
