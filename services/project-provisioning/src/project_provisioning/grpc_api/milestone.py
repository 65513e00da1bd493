"""MilestoneService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import milestone as commands
from project_provisioning.commands import plan as plan_commands
from project_provisioning.commands import withdrawal
from project_provisioning.domain.acceptance import Acceptance, EvidenceDiffers
from project_provisioning.domain.document import Document, read_document
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import expense as document_queries
from project_provisioning.queries import milestone as queries
from project_provisioning.queries import plan as plan_queries
from project_provisioning.wire import document as document_wire
from project_provisioning.wire import milestone as wire
from project_provisioning.wire import plan as plan_wire
from throughline.project_provisioning.v1 import document_pb2
from throughline.project_provisioning.v1 import milestone_service_pb2 as pb
from throughline.project_provisioning.v1.milestone_service_pb2_grpc import MilestoneServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class MilestoneServicer(MilestoneServiceServicer):
    """Milestones."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def GetMilestone(
        self, request: pb.GetMilestoneRequest, context: object
    ) -> pb.GetMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        async with read(self._engine) as tx:
            milestone = await queries.get_milestone(tx, milestone_id, sight_of_caller())
        return pb.GetMilestoneResponse(milestone=wire.write_milestone(milestone))

    async def ListMilestones(
        self, request: pb.ListMilestonesRequest, context: object
    ) -> pb.ListMilestonesResponse:
        page = read_page(request)
        wanted = queries.Filter(
            contract_id=read_optional_uuid("contract_id", request.contract_id),
            project_id=read_optional_uuid("project_id", request.project_id),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            status=read_optional_enum("status", request.status, wire.STATUSES),
            due_from=read_optional_date("due_from", request.due_from),
            due_before=read_optional_date("due_before", request.due_before),
            overdue_at=self._clock.now() if request.overdue else None,
        )
        async with read(self._engine) as tx:
            milestones, token = await queries.milestones(
                tx, wanted, sight=sight_of_caller(), page=page
            )
        return pb.ListMilestonesResponse(
            milestones=map(wire.write_milestone, milestones), next_page_token=token
        )

    async def ListMilestoneSteps(
        self, request: pb.ListMilestoneStepsRequest, context: object
    ) -> pb.ListMilestoneStepsResponse:
        page = read_page(request)
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        async with read(self._engine) as tx:
            steps, token = await queries.steps(tx, milestone_id, sight=sight_of_caller(), page=page)
        return pb.ListMilestoneStepsResponse(
            steps=map(wire.write_step, steps), next_page_token=token
        )

    async def CompleteMilestone(
        self, request: pb.CompleteMilestoneRequest, context: object
    ) -> pb.CompleteMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        on = read_optional_date("completed_on", request.completed_on)

        async def handle(tx: AsyncConnection) -> pb.CompleteMilestoneResponse:
            milestone = await commands.complete_milestone(
                tx, milestone_id, on=on, by=subject_of_caller(), clock=self._clock
            )
            return pb.CompleteMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.CompleteMilestoneResponse, handle)

    async def RequestAcceptance(
        self, request: pb.RequestAcceptanceRequest, context: object
    ) -> pb.RequestAcceptanceResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        document, sha256 = _read_proof(
            request.document if request.HasField("document") else None,
            request.document_sha256,
            field="document",
        )
        asked = commands.Request(
            addressed_to=request.addressed_to,
            requested_on=read_optional_date("requested_on", request.requested_on),
            document_sha256=sha256,
            document=document,
        )

        async def handle(tx: AsyncConnection) -> pb.RequestAcceptanceResponse:
            milestone = await commands.request_acceptance(
                tx, milestone_id, asked, by=subject_of_caller(), clock=self._clock
            )
            return pb.RequestAcceptanceResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.RequestAcceptanceResponse, handle)

    async def AcceptMilestone(
        self, request: pb.AcceptMilestoneRequest, context: object
    ) -> pb.AcceptMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        evidence, sha256 = _read_proof(
            request.evidence if request.HasField("evidence") else None,
            request.evidence_sha256,
            field="evidence",
        )
        acceptance = Acceptance(
            accepted_by=request.accepted_by,
            accepted_on=read_date("accepted_on", request.accepted_on),
            evidence_sha256=sha256,
            recorded_by=subject_of_caller(),
            share_percent=read_optional_decimal("share_percent", request.share_percent, places=4),
            amount=read_optional_money("accepted_amount", request.accepted_amount),
        )

        async def handle(tx: AsyncConnection) -> pb.AcceptMilestoneResponse:
            milestone, rest = await commands.accept_milestone(
                tx, milestone_id, acceptance, evidence, clock=self._clock
            )
            return pb.AcceptMilestoneResponse(
                milestone=wire.write_milestone(milestone),
                rest=None if rest is None else wire.write_milestone(rest),
            )

        return await once(self._engine, request, pb.AcceptMilestoneResponse, handle)

    async def RejectMilestone(
        self, request: pb.RejectMilestoneRequest, context: object
    ) -> pb.RejectMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)

        async def handle(tx: AsyncConnection) -> pb.RejectMilestoneResponse:
            milestone = await commands.reject_milestone(
                tx, milestone_id, reason=request.reason, by=subject_of_caller(), clock=self._clock
            )
            return pb.RejectMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.RejectMilestoneResponse, handle)

    async def WithdrawAcceptance(
        self, request: pb.WithdrawAcceptanceRequest, context: object
    ) -> pb.WithdrawAcceptanceResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        await withdrawal.prepare(
            self._context, milestone_id, reason=request.reason, by=subject_of_caller()
        )

        async def handle(tx: AsyncConnection) -> pb.WithdrawAcceptanceResponse:
            milestone, rest = await commands.withdraw_acceptance(
                tx, milestone_id, reason=request.reason, by=subject_of_caller(), clock=self._clock
            )
            return pb.WithdrawAcceptanceResponse(
                milestone=wire.write_milestone(milestone),
                rest=None if rest is None else wire.write_milestone(rest),
            )

        return await once(self._engine, request, pb.WithdrawAcceptanceResponse, handle)

    async def RescheduleMilestone(
        self, request: pb.RescheduleMilestoneRequest, context: object
    ) -> pb.RescheduleMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        due_on = read_date("due_on", request.due_on)

        async def handle(tx: AsyncConnection) -> pb.RescheduleMilestoneResponse:
            milestone = await plan_commands.reschedule_milestone(
                tx,
                milestone_id,
                due_on=due_on,
                reason=request.reason,
                by=subject_of_caller(),
                at=self._clock.now(),
            )
            return pb.RescheduleMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.RescheduleMilestoneResponse, handle)

    async def GetMilestoneEvidence(
        self, request: pb.GetMilestoneEvidenceRequest, context: object
    ) -> pb.GetMilestoneEvidenceResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        async with read(self._engine) as tx:
            evidence = await document_queries.evidence(tx, milestone_id, sight_of_caller())
        return pb.GetMilestoneEvidenceResponse(evidence=document_wire.write_document(evidence))

    async def PutPlanPolicy(
        self, request: pb.PutPlanPolicyRequest, context: object
    ) -> pb.PutPlanPolicyResponse:
        policy = PlanPolicy(
            legal_entity_id=read_uuid("legal_entity_id", request.legal_entity_id),
            acceptance_reminder_days=request.acceptance_reminder_days,
            budget_warning_percent=request.budget_warning_percent,
        )

        async def handle(tx: AsyncConnection) -> pb.PutPlanPolicyResponse:
            await plan_commands.put_policy(tx, policy)
            return pb.PutPlanPolicyResponse(policy=plan_wire.write_plan_policy(policy))

        return await once(self._engine, request, pb.PutPlanPolicyResponse, handle)

    async def GetPlanPolicy(
        self, request: pb.GetPlanPolicyRequest, context: object
    ) -> pb.GetPlanPolicyResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            policy = await plan_queries.plan_policy(tx, legal_entity_id)
        return pb.GetPlanPolicyResponse(policy=plan_wire.write_plan_policy(policy))


def _read_proof(
    sent: document_pb2.Document | None, sha256: str, *, field: str
) -> tuple[Document | None, str]:
    """Return the document sent along, if any, and the hash it is known by, empty without one.

    Raises:
        DocumentTypeRefused: it is not of its type.
        EvidenceDiffers: it has another hash than the one sent with it.
    """
    if sent is None:
        return None, sha256
    document = read_document(sent.content_type, sent.content, field=f"{field}.content")
    if sha256 not in {"", document.sha256}:
        raise EvidenceDiffers(
            "the document has another hash",
            field=f"{field}_sha256",
            advice="send the document alone, or its own hash with it",
        )
    return document, document.sha256
