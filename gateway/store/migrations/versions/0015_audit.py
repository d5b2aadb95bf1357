"""The audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "audit",
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        *(
            sa.Column(f"{name}{part}", sa.Text(), nullable=False)
            for name in ("who", "whom", "reason")
            for part in ("", "_salt", "_seal")
        ),
        sa.Column("hash", sa.String(), nullable=False),
    )
    op.create_index("audit_by_decision", "audit", ["decision"])
    op.create_index("audit_by_who", "audit", ["who"])
    op.create_index("audit_by_whom", "audit", ["whom"])
