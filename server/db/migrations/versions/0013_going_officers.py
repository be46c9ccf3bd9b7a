"""Officers taken off a list whom the kit has not shut out yet, and which list a kit has fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("kit_officer") as officer:
        officer.add_column(sa.Column("taken", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("kit") as kit:
        kit.add_column(sa.Column("roster_told", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("kit", "roster_told")
    op.drop_column("kit_officer", "taken")
