"""Work calendars."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.calendar import WorkCalendar
from project_provisioning.domain.public_holiday import require_known
from project_provisioning.repository import calendar as repository
from throughline_runtime.identity import require_every_entity


async def put_calendar(tx: AsyncConnection, calendar: WorkCalendar) -> WorkCalendar:
    """Record a calendar, or change it; every company's people may follow it.

    Raises:
        HolidaysUnknown: nobody knows the public holidays of the place.
        EntityForbidden: the caller is limited to some companies.
    """
    require_every_entity()
    require_known(calendar.country, calendar.subdivision)
    return await repository.put(tx, calendar)
