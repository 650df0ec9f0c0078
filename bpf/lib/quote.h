/* quote.h: ICMP errors across the NAT.
 *
 * An error quotes the packet it is about. That packet belongs to a session in which it was the
 * reply's or the opener's, so the session is found by the quote's reverse, and the quote is given
 * back the addresses and ports that its sender knows (RFC 5508 section 4.2). TCP's sequence number
 * in the quote is the sender's own: FNAT changes none. */
#ifndef UNILB_QUOTE_H
#define UNILB_QUOTE_H

#include "rewrite.h"
#include "session.h"

#define QUOTE_L4 8 /* bytes of its transport header that every error must quote */

struct quote {
	struct flow flow; /* as it left us */
	u32 l3;
	u32 l4;
	u32 csum; /* offset of its transport checksum; 0 when that was not quoted */
};

/* A quote and the session that it is of: too much for the stack beside a tunnel's headers. Per CPU,
 * and nothing in it outlives one packet. */
struct quoted {
	struct quote quote;
	struct flow peer;
};
BPF_PERCPU_ARRAY(quoted, struct quoted, 1);

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

#endif
