"""What kits hold, incidents, and no application in a state that is none."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
STATES = ["sealed", "uploaded", "forwarded", "accepted", "rejected", "recapture", "expired", "stuck"]


def upgrade() -> None:
    op.create_table(
        "holding",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("certificate", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.visit_id"]),
        sa.ForeignKeyConstraint(["tenant"], ["municipality.tenant"]),
        sa.PrimaryKeyConstraint("kit_id", "visit_id", "packet_id"),
    )
    op.create_index("holding_open", "holding", ["ended", "since"], unique=False)
    op.create_index("ix_holding_tenant", "holding", ["tenant"], unique=False)
    op.create_table(
        "incident",
        sa.Column("incident_id", sa.String(length=26), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("incident_id"),
        sa.UniqueConstraint("code", "kit_id", "subject"),
    )
    op.create_index("ix_incident_kit_id", "incident", ["kit_id"], unique=False)
    allowed = ", ".join(f"'{state}'" for state in STATES)
    with op.batch_alter_table("application") as batch:
        batch.create_check_constraint("application_state", f"state IN ({allowed})")


def downgrade() -> None:
    with op.batch_alter_table("application") as batch:
        batch.drop_constraint("application_state", type_="check")
    op.drop_table("incident")
    op.drop_table("holding")
