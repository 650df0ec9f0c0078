/* icmp.h: ICMP of our own: "too big" towards who sent too much, and the answer to a ping of a VIP.
 */
#ifndef UNILB_ICMP_H
#define UNILB_ICMP_H

#include "quote.h"

#define ICMP_PER_SECOND 1000 /* errors that one CPU sends */
#define QUOTE_LEN	64   /* bytes of the packet that our own errors quote: its headers */

/* Returns whether this CPU may send one more error in this second. */
static __always_inline int icmp_allowed(void)
{
	u64 second = bpf_ktime_get_ns() >> 30;
	struct budget *budget;
	u32 zero = 0;

	budget = icmp_budget.lookup(&zero);
	if (!budget)
		return 0;
	if (budget->second != second) {
		budget->second = second;
		budget->spent = 0;
	}
	if (budget->spent >= ICMP_PER_SECOND) {
		count(EVENT_ICMP_LIMITED);
		return 0;
	}
	budget->spent += 1;
	return 1;
}

struct too_big_v4 {
	struct iphdr ip;
	struct icmp icmp;
	u8 quote[QUOTE_LEN];
};

struct too_big_v6 {
	struct ipv6 ip;
	u8 type, code;
	__be16 csum;
	__be32 mtu;
	u8 quote[QUOTE_LEN];
};

static __always_inline int too_big_v4(ctx_t *ctx, const struct packet *pkt, u32 mtu,
				      struct too_big_v4 *error)
{
	if (ctx_load(ctx, pkt->l3, error->quote, QUOTE_LEN))
		return -EFAULT;
	error->ip.version = 4;
	error->ip.ihl = 5;
	error->ip.tot_len = bpf_htons(sizeof(*error));
	error->ip.ttl = 64;
	error->ip.protocol = IPPROTO_ICMP;
	error->ip.saddr = v4_from_addr(&pkt->flow.daddr);
	error->ip.daddr = v4_from_addr(&pkt->flow.saddr);
	error->ip.check = ipv4_check(&error->ip);
	error->icmp.type = ICMP4_UNREACHABLE;
	error->icmp.code = ICMP4_FRAG_NEEDED;
	error->icmp.seq = bpf_htons((u16)mtu);
	error->icmp.csum = csum_add_u16(
	    0xffff, bpf_csum_diff(0, 0, (void *)&error->icmp, ICMP_LEN + QUOTE_LEN, 0));
	return ctx_resize(ctx, pkt->l3 + sizeof(*error))
		   ?: ctx_store(ctx, pkt->l3, error, sizeof(*error));
}

static __always_inline int too_big_v6(ctx_t *ctx, const struct packet *pkt, u32 mtu,
				      struct too_big_v6 *error)
{
	if (ctx_load(ctx, pkt->l3, error->quote, QUOTE_LEN))
		return -EFAULT;
	error->ip.vtcfl = bpf_htonl(6U << 28);
	error->ip.payload_len = bpf_htons(sizeof(*error) - IPV6_LEN);
	error->ip.nexthdr = PROTO_ICMP6;
	error->ip.hop_limit = 64;
	error->ip.saddr = pkt->flow.daddr;
	error->ip.daddr = pkt->flow.saddr;
	error->type = ICMP6_TOO_BIG;
	error->mtu = bpf_htonl(mtu);
	error->csum = csum_add_u16(
	    0xffff, bpf_csum_diff(0, 0, (void *)&error->ip.saddr, sizeof(*error) - IPV6_SADDR,
				  bpf_htons(sizeof(*error) - IPV6_LEN) + bpf_htons(PROTO_ICMP6)));
	return ctx_resize(ctx, pkt->l3 + sizeof(*error))
		   ?: ctx_store(ctx, pkt->l3, error, sizeof(*error));
}

/* Turns a packet that is too long into the error that says so, addressed to its sender from the
 * address it was for: "fragmentation needed" (RFC 1191 section 4) or "packet too big" (RFC 4443
 * section 3.2). The MACs are left to whoever sends it. Returns 0 or a negative errno. */
static __always_inline int icmp_too_big(ctx_t *ctx, const struct packet *pkt, u32 mtu)
{
	struct scratch *room;
	u32 zero = 0;
	int err;

	room = scratch.lookup(&zero);
	if (!room || pkt->ip_len < QUOTE_LEN)
		return -EINVAL;
	__builtin_memset(room->bytes, 0, SCRATCH_BYTES);
	err = pkt->v6 ? too_big_v6(ctx, pkt, mtu, (struct too_big_v6 *)room->bytes)
		      : too_big_v4(ctx, pkt, mtu, (struct too_big_v4 *)room->bytes);
	if (!err)
		count(EVENT_ICMP_TOO_BIG);
	return err;
}

/* Writes the error that icmp_too_big() made once more, to where that packet begins now. Returns 0
 * or a negative errno. */
static __always_inline int icmp_store_again(ctx_t *ctx, const struct packet *pkt)
{
	struct scratch *room;
	u32 zero = 0;

	room = scratch.lookup(&zero);
	if (!room)
		return -EINVAL;
	return pkt->v6 ? ctx_store(ctx, pkt->l3, room->bytes, sizeof(struct too_big_v6))
		       : ctx_store(ctx, pkt->l3, room->bytes, sizeof(struct too_big_v4));
}

/* Turns a ping into its answer (RFC 792, RFC 4443 section 4.2), TTL anew. Returns 0 or a negative
 * errno. */
static __always_inline int icmp_answer(ctx_t *ctx, const struct packet *pkt)
{
	struct addr ends[2] = {pkt->flow.daddr, pkt->flow.saddr};
	u8 reply = pkt->v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
	int err;

	err = rewrite_addresses(ctx, pkt, ends, pkt->ttl - 64);
	err = err
		  ?: ctx_csum_l4(ctx, pkt->l4 + ICMP_CSUM, bpf_htons(pkt->icmp_type << 8),
				 bpf_htons(reply << 8), 2);
	err = err ?: ctx_store(ctx, pkt->l4, &reply, 1);
	if (!err)
		count(EVENT_ECHO);
	return err;
}

#endif
