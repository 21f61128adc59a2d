"""Run the migrations on the connection that the ledger passes in."""

from alembic import context
from sqlmodel import SQLModel

from jobs.ledger import schema

assert schema.Run.metadata is SQLModel.metadata  # noqa: S101 -- the import is what fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
context.run_migrations()
