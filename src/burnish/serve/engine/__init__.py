"""Engines: whatever turns token ids into token ids, behind one protocol."""
