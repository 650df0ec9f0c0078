/* vpc.h: what comes out of a VPC at a gateway, given to the socket that asked for it. */
#ifndef UNILB_VPC_H
#define UNILB_VPC_H

#include "decap.h"
#include "deliver.h"
#include "splice_error.h"

/* An ICMP error out of a VPC, about a packet of a local socket's. */
static __always_inline int error_from_vpc(ctx_t *ctx, const struct packet *outer,
					  struct packet *inner, const struct machine *machine)
{
	u32 len = outer->v6 ? OUTER6_LEN : OUTER_LEN, zero = 0;
	struct segment *segment;
	struct quote *quote;
	int reason;

	segment = segments.lookup(&zero);
	if (!segment)
		return -DROP_INTERNAL;
	quote = &segment->quote;
	__builtin_memset(quote, 0, sizeof(*quote));
	reason = icmp_session(ctx, inner, quote, &segment->peer);
	reason = reason ?: decap(ctx, outer, inner);
	if (reason)
		return -reason;
	quote->l3 -= len;
	quote->l4 -= len;
	if (quote->csum)
		quote->csum -= len;
	if (!segment->peer.proto) /* what a splice has left of a session */
		return splice_error_vpc(ctx, inner, segment, machine);
	if (icmp_translate(ctx, inner, quote, &segment->peer, 0))
		return -DROP_INTERNAL;
	count(EVENT_ICMP_TRANSLATED);
	return deliver(ctx, machine);
}

/* What came out of a DSR VIP's tunnel is as if the device had just received it. On XDP, where
 * nobody has looked at the frame yet, the program goes on with it; on TC the stack would still take
 * it for what the outer header was, so it comes in again. */
#ifdef UNILB_XDP
#define arrive(ctx) VERDICT_PASS
#else
#define arrive(ctx) bpf_redirect((ctx)->ifindex, BPF_F_INGRESS)
#endif

/* A client's packet to a DSR VIP, in an L4 node's tunnel. */
static __always_inline int from_l4(ctx_t *ctx, const struct packet *outer, struct packet *inner,
				   int *parsed)
{
	u32 *role;
	int reason;

	reason = vtep_check(outer, DSR_VNI);
	if (reason)
		return -reason;
	pull(ctx, GUE_END + IPV6_LEN + TCP_MIN_LEN);
	*parsed = gue_parse(ctx, inner);
	if (*parsed != PARSED_OK && *parsed != PARSED_ICMP_ERROR)
		return -unparsed_reason(*parsed);
	role = owned.lookup(&inner->flow.daddr);
	if (!role || *role != OWNED_DSR)
		return -DROP_NO_SERVICE;
	if (ecn_lost(outer->tos, inner->tos))
		return -DROP_ECN;
	if (gue_pop(ctx, inner))
		return -DROP_ENCAP;
	if (ecn_decap(ctx, inner, outer->tos))
		return -DROP_INTERNAL;
	count(EVENT_DSR_TAKEN);
	return arrive(ctx);
}

/* What a packet is to splices: which it belongs to, if any, and from which end it comes. */
struct spliced {
	struct splice *splice;
	u32 id;
	u32 way;
};

/* A packet that is not in a tunnel: a splice's, or the stack's. */
static __always_inline void from_outside(ctx_t *ctx, struct packet *pkt, int parsed,
					 const struct machine *machine, struct spliced *spliced)
{
	struct splice_end *end;

	if (parsed != PARSED_OK || pkt->flow.proto != IPPROTO_TCP)
		return;
	end = splice_ends.lookup(&pkt->flow);
	if (!end)
		return;
	spliced->id = end->id;
	spliced->way = end->direction;
	spliced->splice = splice_of(end->id, end->generation);
}

/* A packet out of a VPC, for a local socket or, then taken out of its tunnel only, for a splice.
 * Returns a verdict, a negative drop reason, or VERDICT_PASS for a splice's. */
static __always_inline int from_tunnel(ctx_t *ctx, struct packet *outer, struct packet *inner,
				       int parsed, const struct machine *machine,
				       struct spliced *spliced)
{
	struct session *session;
	struct flow peer;
	int reason;

	reason = decap_check(ctx, outer, machine, inner, &parsed);
	if (reason != DROP_NONE)
		return -reason;
	if (parsed == PARSED_ICMP_ERROR)
		return error_from_vpc(ctx, outer, inner, machine);
	session = sessions.lookup(&inner->flow);
	if (!session)
		return -DROP_NO_SESSION;
	if (session->direction == DIRECTION_SPLICED) {
		spliced->id = session->target;
		spliced->way = DOWN;
		spliced->splice = splice_of(spliced->id, session->target_generation);
		if (!spliced->splice)
			return -DROP_NO_SESSION;
		reason = decap(ctx, outer, inner);
		return reason ? -reason : VERDICT_PASS;
	}
	session_touch(session, inner);
	peer = session->peer;
	reason = decap(ctx, outer, inner);
	if (reason)
		return -reason;
	if (rewrite(ctx, inner, &peer, 0))
		return -DROP_INTERNAL;
	return deliver(ctx, machine);
}

/* Returns a verdict or a negative drop reason. */
static __always_inline int from_vpc(ctx_t *ctx, struct packet *outer, struct packet *inner)
{
	struct spliced spliced = {};
	int parsed, verdict = VERDICT_PASS;
	struct machine *self;
	u32 zero = 0;

	pull(ctx, PARSE_LEN);
	parsed = parse_frame(ctx, 0, outer);
	self = machine.lookup(&zero);
	if (!self)
		return VERDICT_PASS;
	if (parsed == PARSED_OK && is_gue(outer, self)) {
		verdict = from_l4(ctx, outer, inner, &parsed);
#ifdef UNILB_XDP
		if (verdict != VERDICT_PASS)
			return verdict;
		*outer = *inner;
#else
		return verdict;
#endif
	}
	if (parsed == PARSED_ICMP_ERROR) {
		if (is_ours(outer, self))
			path_mtu_learn(ctx, outer, self);
		return splice_error_outside(ctx, outer, self);
	}
	if (is_tunnel(outer, parsed, self)) {
		verdict = from_tunnel(ctx, outer, inner, parsed, self, &spliced);
	} else {
		from_outside(ctx, outer, parsed, self, &spliced);
		if (spliced.splice)
			*inner = *outer;
	}
	if (!spliced.splice || verdict != VERDICT_PASS)
		return verdict;
	return splice_carry(ctx, spliced.id, spliced.splice, spliced.way, inner, self);
}

#endif
