/* icmp.h: ICMP errors across the NAT, "too big" towards who sent too much, and pings of a VIP.
 *
 * An error quotes the packet it is about. That packet belongs to a session in which it was the
 * reply's or the opener's, so the session is found by the quote's reverse, and the quote is given
 * back the addresses and ports that its sender knows (RFC 5508 section 4.2). TCP's sequence number
 * in the quote is the sender's own: FNAT changes none. */
#ifndef UNILB_ICMP_H
#define UNILB_ICMP_H

#include "rewrite.h"
#include "session.h"

#define ICMP_PER_SECOND 1000 /* errors that one CPU sends */
#define QUOTE_LEN	64   /* bytes of the packet that our own errors quote: its headers */
#define QUOTE_L4	8    /* bytes of its transport header that every error must quote */

struct quote {
	struct flow flow; /* as it left us */
	u32 l3;
	u32 l4;
	u32 csum; /* offset of its transport checksum; 0 when that was not quoted */
};

/* Reads the packet that an ICMP error quotes. Returns 0 or a drop reason. */
static __always_inline int quote_read(ctx_t *ctx, const struct packet *pkt, struct quote *quote)
{
	u32 end = pkt->l3 + pkt->ip_len, at = pkt->l4 + ICMP_LEN, csum;
	__be16 words[4] = {};
	struct ipv6 v6 = {};
	struct iphdr v4 = {};

	quote->l3 = at;
	if (pkt->v6) {
		if (at + IPV6_LEN + QUOTE_L4 > end || ctx_load(ctx, at, &v6, IPV6_LEN))
			return DROP_ICMP_QUOTE;
		quote->flow.saddr = v6.saddr;
		quote->flow.daddr = v6.daddr;
		quote->flow.proto = v6.nexthdr;
		quote->l4 = at + IPV6_LEN;
	} else {
		if (at + IPV4_LEN + QUOTE_L4 > end || ctx_load(ctx, at, &v4, IPV4_LEN) ||
		    v4.version != 4 || v4.ihl != 5 || v4.frag_off & bpf_htons(IP_OFFSET))
			return DROP_ICMP_QUOTE;
		quote->flow.saddr = addr_from_v4(v4.saddr);
		quote->flow.daddr = addr_from_v4(v4.daddr);
		quote->flow.proto = v4.protocol;
		quote->l4 = at + IPV4_LEN;
	}
	if (ctx_load(ctx, quote->l4, words, 8))
		return DROP_ICMP_QUOTE;
	switch (quote->flow.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		quote->flow.sport = words[0];
		quote->flow.dport = words[1];
		csum = quote->flow.proto == IPPROTO_TCP ? TCP_CSUM : UDP_CSUM;
		break;
	case IPPROTO_ICMP:
	case PROTO_ICMP6:
		if (words[0] == bpf_htons(ICMP4_ECHO << 8) ||
		    words[0] == bpf_htons(ICMP6_ECHO << 8))
			quote->flow.sport = words[2];
		else
			quote->flow.dport = words[2];
		csum = ICMP_CSUM;
		break;
	default:
		return DROP_ICMP_QUOTE;
	}
	quote->csum = quote->l4 + csum + 2 <= end ? quote->l4 + csum : 0;
	return DROP_NONE;
}

static __always_inline u16 csum_add_u16(u16 csum, u64 diff)
{
	u64 sum = (u16)~csum;

	sum += (u32)diff;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

/* Mends the transport checksum within the quote, so that who compares it finds his own packet. */
static __always_inline int quote_csum(ctx_t *ctx, const struct quote *quote, u32 outer_csum,
				      u64 diff)
{
	__be16 old = 0, new;

	if (!quote->csum)
		return 0;
	if (ctx_load(ctx, quote->csum, &old, 2))
		return -EFAULT;
	if (!old && quote->flow.proto == IPPROTO_UDP)
		return 0;
	new = csum_add_u16(old, diff);
	if (!new && quote->flow.proto == IPPROTO_UDP)
		new = 0xffff;
	return ctx_csum_l4(ctx, outer_csum, old, new, 2) ?: ctx_store(ctx, quote->csum, &new, 2);
}

/* Makes the quoted packet the one that `peer` had sent. Every change of the quote that no checksum
 * within it balances goes into the error's own. Returns 0 or a negative errno. */
static __always_inline int quote_rewrite(ctx_t *ctx, const struct packet *pkt,
					 const struct quote *quote, const struct flow *peer)
{
	struct addr ends[2] = {peer->saddr, peer->daddr};
	u64 addresses = addresses_diff(&quote->flow, ends);
	u32 csum = pkt->l4 + ICMP_CSUM;
	u32 old_ports = (u32)quote->flow.sport | (u32)quote->flow.dport << 16;
	u32 new_ports = (u32)peer->sport | (u32)peer->dport << 16;
	u8 is_echo = quote->flow.proto != IPPROTO_TCP && quote->flow.proto != IPPROTO_UDP;
	__be16 old_id = quote->flow.sport | quote->flow.dport, new_id = peer->sport | peer->dport;
	__be32 v4[2] = {v4_from_addr(&ends[0]), v4_from_addr(&ends[1])};
	u64 inner;
	int err;

	if (pkt->v6) {
		err = ctx_csum_l4(ctx, csum, 0, addresses, 0);
		err = err ?: ctx_store(ctx, quote->l3 + IPV6_SADDR, ends, 32);
	} else {
		err = ctx_csum_l3(ctx, quote->l3 + IPV4_CSUM, 0, addresses, 0);
		err = err ?: ctx_store(ctx, quote->l3 + IPV4_SADDR, v4, 8);
	}
	if (is_echo) {
		inner = (u64)(u16)~old_id + new_id + (pkt->v6 ? (u32)addresses : 0);
		err = err ?: ctx_csum_l4(ctx, csum, old_id, new_id, 2);
		err = err ?: ctx_store(ctx, quote->l4 + ICMP_ID, &new_id, 2);
	} else {
		inner = bpf_csum_diff(&old_ports, 4, &new_ports, 4, 0);
		inner = (u32)inner + (u64)(u32)addresses;
		err = err ?: ctx_csum_l4(ctx, csum, old_ports, new_ports, 4);
		err = err ?: ctx_store(ctx, quote->l4, &new_ports, 4);
	}
	inner = (inner & 0xffffffff) + (inner >> 32);
	inner = (inner & 0xffff) + (inner >> 16);
	return err ?: quote_csum(ctx, quote, csum, inner);
}

/* Finds the session of the quoted packet, in the VNI of the error. Returns 0 or a drop reason. */
static __always_inline int icmp_session(ctx_t *ctx, const struct packet *pkt, struct quote *quote,
					struct flow *peer)
{
	struct session *session;
	struct flow flow = {};
	int reason = quote_read(ctx, pkt, quote);

	if (reason != DROP_NONE)
		return reason;
	/* An error goes to who sent what it quotes: anything else is forged. */
	if (!addr_equal(&quote->flow.saddr, &pkt->flow.daddr))
		return DROP_ICMP_QUOTE;
	flow.saddr = quote->flow.daddr;
	flow.daddr = quote->flow.saddr;
	flow.sport = quote->flow.dport;
	flow.dport = quote->flow.sport;
	flow.proto = quote->flow.proto;
	flow.vni = pkt->flow.vni;
	session = sessions.lookup(&flow);
	if (!session)
		return DROP_NO_SESSION;
	*peer = session->peer;
	return DROP_NONE;
}

/* Carries an ICMP error through the session of the packet that it quotes: from the address that its
 * receiver had been talking to. Returns 0 or a negative errno. */
static __always_inline int icmp_translate(ctx_t *ctx, const struct packet *pkt,
					  const struct quote *quote, const struct flow *peer,
					  u8 hops)
{
	struct addr ends[2] = {peer->daddr, peer->saddr};

	return quote_rewrite(ctx, pkt, quote, peer) ?: rewrite_addresses(ctx, pkt, ends, hops);
}

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
	error->ip.check =
	    csum_add_u16(0xffff, bpf_csum_diff(0, 0, (void *)&error->ip, IPV4_LEN, 0));
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
