"""Since when all bytes of an upload are here that is no application yet."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload", sa.Column("whole", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_upload_whole", "upload", ["whole"])
    op.execute("UPDATE upload SET whole = touched WHERE state <> 'complete' AND written = size")


def downgrade() -> None:
    op.drop_index("ix_upload_whole", "upload")
    op.drop_column("upload", "whole")
