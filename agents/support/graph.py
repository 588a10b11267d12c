"""The support graph: load -> (interpret | retrieve) -> propose -> ask or draft. No interrupts: approvals live in our tables."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agents.support.nodes import SupportNodes, route_after_propose
from agents.support.state import SupportDeps, SupportState, TurnContext


def build_support_graph(deps: SupportDeps) -> StateGraph[SupportState, TurnContext, SupportState, SupportState]:
    """Wire the steps. Compile once per turn with that turn's checkpoints."""
    nodes = SupportNodes(deps)
    graph = StateGraph(SupportState, context_schema=TurnContext)
    graph.add_node("load", nodes.load)
    graph.add_node("interpret", nodes.interpret)
    graph.add_node("retrieve", nodes.retrieve)
    graph.add_node("propose", nodes.propose)
    graph.add_node("ask", nodes.ask)
    graph.add_node("draft", nodes.draft)
    graph.add_edge(START, "load")
    # Independent reads run side by side.
    graph.add_edge("load", "interpret")
    graph.add_edge("load", "retrieve")
    graph.add_edge(["interpret", "retrieve"], "propose")
    graph.add_conditional_edges("propose", route_after_propose, ["ask", "draft"])
    graph.add_edge("ask", END)
    graph.add_edge("draft", END)
    return graph


def compile_support_graph(
    graph: StateGraph[SupportState, TurnContext, SupportState, SupportState], checkpoints: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[SupportState, TurnContext, SupportState, SupportState]:
    """Compile for one turn."""
    return graph.compile(checkpointer=checkpoints, name="support")
