/* splice_error.h: ICMP errors about what a splice has sent on.
 *
 * Whoever sent the packet knows it by other numbers than the error quotes: without the sequence
 * number changed back, Linux ignores it (OutOfWindowIcmps), and a path MTU is never learnt. */
#ifndef UNILB_SPLICE_ERROR_H
#define UNILB_SPLICE_ERROR_H

#include "splice.h"

#define TCP_SEQ 4

/* Writes to `segment->answer` the flow that the receiver of the quoted packet sends. */
static __always_inline void quote_answer(struct segment *segment, u32 vni)
{
	const struct flow *quoted = &segment->quote.flow;

	segment->answer.saddr = quoted->daddr;
	segment->answer.daddr = quoted->saddr;
	segment->answer.sport = quoted->dport;
	segment->answer.dport = quoted->sport;
	segment->answer.vni = vni;
	segment->answer.proto = quoted->proto;
}

/* Gives the quote the sequence number that its sender knows. */
static __always_inline int quote_shift(ctx_t *ctx, const struct packet *pkt,
				       const struct quote *quote, u32 delta)
{
	u32 csum = pkt->l4 + ICMP_CSUM;
	__be32 old = 0, new;
	int err;

	if (ctx_load(ctx, quote->l4 + TCP_SEQ, &old, 4))
		return -EFAULT;
	new = bpf_htonl(bpf_ntohl(old) - delta);
	err = ctx_csum_l4(ctx, csum, old, new, 4);
	err = err ?: ctx_store(ctx, quote->l4 + TCP_SEQ, &new, 4);
	return err ?: quote_csum(ctx, quote, csum, bpf_csum_diff(&old, 4, &new, 4, 0));
}

/* Carries an error about a packet to the end that `way` leads from, back to the packet's sender.
 * Returns a verdict or a negative drop reason. */
static __always_inline int splice_error(ctx_t *ctx, const struct splice *splice, u32 way,
					const struct packet *pkt, struct segment *segment,
					const struct machine *machine)
{
	const struct quote *quote = &segment->quote;
	u32 back = way == UP ? DOWN : UP;

	if (pkt->ttl <= 1)
		return -DROP_TTL_EXPIRED;
	segment->peer = splice->from[back];
	if (icmp_translate(ctx, pkt, quote, &segment->peer, 1) ||
	    quote_shift(ctx, pkt, quote, splice->delta[back]))
		return -DROP_INTERNAL;
	count(EVENT_ICMP_TRANSLATED);
	if (back == DOWN && splice->flags & SPLICE_VPC)
		return splice_to_vpc(ctx, splice, pkt, machine);
	return splice_send(ctx, machine, &segment->peer, pkt->ip_len);
}

/* An error that came in no tunnel. Returns VERDICT_PASS when it is about no splice's packet. */
static __always_inline int splice_error_outside(ctx_t *ctx, const struct packet *pkt,
						const struct machine *machine)
{
	struct segment *segment;
	struct splice_end *end;
	struct splice *splice;
	u32 zero = 0;

	segment = segments.lookup(&zero);
	if (!segment)
		return VERDICT_PASS;
	__builtin_memset(&segment->quote, 0, sizeof(segment->quote));
	if (quote_read(ctx, pkt, &segment->quote) || segment->quote.flow.proto != IPPROTO_TCP ||
	    !addr_equal(&segment->quote.flow.saddr, &pkt->flow.daddr))
		return VERDICT_PASS;
	quote_answer(segment, 0);
	end = splice_ends.lookup(&segment->answer);
	splice = end ? splice_of(end->id, end->generation) : 0;
	return splice ? splice_error(ctx, splice, end->direction & 1, pkt, segment, machine)
		      : VERDICT_PASS;
}

/* An error out of a VPC, about a packet to a spliced endpoint there. */
static __always_inline int splice_error_vpc(ctx_t *ctx, const struct packet *pkt,
					    struct segment *segment, const struct machine *machine)
{
	struct session *session;
	struct splice *splice;

	quote_answer(segment, pkt->flow.vni);
	session = sessions.lookup(&segment->answer);
	if (!session)
		return -DROP_NO_SESSION;
	splice = splice_of(session->target, session->target_generation);
	return splice ? splice_error(ctx, splice, DOWN, pkt, segment, machine) : -DROP_NO_SESSION;
}

#endif
