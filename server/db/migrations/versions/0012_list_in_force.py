"""The number of the revocation lists in force, which is said to all kits."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "fleet_notice", sa.Column("crl_number", sa.BigInteger(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    with op.batch_alter_table("fleet_notice") as batch:
        batch.drop_column("crl_number")
