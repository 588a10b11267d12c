"""Which passages of the knowledge base speak about this, and where exactly do they stand?

Chunks masked at ingest, full text and vectors fused, tenant and reader roles inside the query. May import: masking, storage,
domain, llama-index-core, pgvector. An embedding model is reached through `ports.EmbeddingModel` only.
Open first: `search.py`, then `ingestion.py`.
"""
