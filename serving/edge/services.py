"""The edge's own parts, put together once for an application."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from serving.edge.action_cards import CardBuilder
from serving.edge.conversation import ConversationService
from serving.edge.customer_index import CustomerIndex
from serving.edge.deps import EdgeDeps
from serving.edge.export_guard import ExportGuard
from serving.edge.health import HealthReader
from serving.edge.live_turns import TurnHub
from serving.edge.pages import Pages
from serving.edge.records import RecordReader
from serving.edge.sign_in import SignInDesk
from serving.edge.staff_proposals import StaffProposals
from serving.edge.transcript import Transcript
from serving.edge.turn_reader import TurnReader


@dataclass(frozen=True, slots=True)
class Services:
    """Hold what routes use."""

    deps: EdgeDeps
    pages: Pages
    hub: TurnHub
    desk: SignInDesk
    records: RecordReader
    index: CustomerIndex
    exports: ExportGuard
    conversations: ConversationService
    transcript: Transcript
    staff_proposals: StaffProposals
    cards: CardBuilder
    health: HealthReader


def make_services(deps: EdgeDeps) -> Services:
    """Put the parts together."""
    hub = TurnHub()
    records = RecordReader(deps.database, deps.boundary)
    cards = CardBuilder(records)
    turns = TurnReader(deps.database, hub, deps.money)
    transcript = Transcript(deps.database, deps.boundary, turns, cards, hub, deps.options.viewing)
    return Services(
        deps=deps,
        pages=Pages.make(deps.options),
        hub=hub,
        desk=SignInDesk(deps.database, deps.clock, deps.options.session_lifetime),
        records=records,
        exports=ExportGuard(deps.database, deps.clock, deps.number_index_of),
        index=CustomerIndex(deps.database, deps.boundary),
        conversations=ConversationService(
            database=deps.database,
            records=records,
            boundary=deps.boundary,
            agents=deps.agents,
            money=deps.money,
            hub=hub,
            clock=deps.clock,
            mint_agent_context=deps.mint_agent_context,
        ),
        transcript=transcript,
        staff_proposals=StaffProposals(deps.database, deps.boundary, deps.money, hub, transcript, deps.clock),
        cards=cards,
        health=HealthReader(deps),
    )


def services_of(request: Request) -> Services:
    """Return the application's parts."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
