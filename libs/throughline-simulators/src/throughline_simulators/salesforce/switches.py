"""What can be turned on the simulated org: its faults, and every point we could not verify."""

from typing import Literal

from pydantic import Field

from throughline_simulators.switchboard import Switches


class SalesforceSwitches(Switches):
    """Faults of the org and the choices where the vendor's documents leave doubt."""

    client_id: str = Field(default="simulated-client", description="Connected app's consumer key.")
    client_secret: str = Field(default="simulated-secret", description="Its consumer secret.")
    run_as_user_missing: bool = Field(
        default=False, description="Refuse client credentials with invalid_grant."
    )
    session_seconds: int = Field(default=7200, gt=0, description="Life of an access token.")
    session_calls_max: int = Field(
        default=0, ge=0, description="A session expires after n calls; 0: by time only."
    )
    daily_calls_max: int = Field(
        default=100_000, ge=0, description="API calls a day, also in Sforce-Limit-Info."
    )
    throttled_status: Literal[403, 429] = Field(
        default=403, description="HTTP status of REQUEST_LIMIT_EXCEEDED."
    )
    unavailable_as_html: bool = Field(
        default=False, description="503 carries a maintenance page instead of JSON."
    )
    row_locks_next: int = Field(
        default=0, ge=0, description="The next n writes meet UNABLE_TO_LOCK_ROW."
    )
    recalculation_reads: int = Field(
        default=0, ge=0, description="After an edit a quote's totals stay too low for n reads."
    )
    recalculation_seconds: float = Field(
        default=0.0, ge=0, description="After an edit a quote's totals stay too low this long."
    )
    page_size: int = Field(default=2000, gt=0, description="Rows of one page of a query.")
    child_page_size: int = Field(default=2000, gt=0, description="Rows of one page of a subquery.")
    default_currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    newest_version: int = Field(default=67, description="Highest REST version answered.")
    oldest_version: int = Field(default=31, description="Lowest REST version answered.")
    upsert_update_status: Literal[200, 204] | None = Field(
        default=None, description="Status of an upsert that updated; null: 204 before version 46."
    )
    errors_carry_fields: bool = Field(default=True, description="Errors list the fields at fault.")
    error_code_names: dict[str, str] = Field(
        default_factory=dict, description="Our name of an error code to the one to send instead."
    )
    datetime_offset: Literal["+0000", "+00:00", "Z"] = Field(
        default="+0000", description="How a datetime says UTC."
    )
    id_length: Literal[15, 18] = Field(default=18, description="Characters of ids in replies.")
    whole_numbers_with_fraction: bool = Field(
        default=False, description="Write numbers without decimal places as 6.0 instead of 6."
    )
