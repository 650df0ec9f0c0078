/* forward.h: send a rewritten packet on its way. */
#ifndef UNILB_FORWARD_H
#define UNILB_FORWARD_H

#include "parse.h"
#include "verdict.h"

/* BCC 0.26 declares this helper without its length argument (so does its master), and a call by
 * that prototype fails to verify. The number is the kernel's. */
static int (*redirect_neigh)(u32 ifindex, void *params, int len,
			     u64 flags) = (void *)BPF_FUNC_redirect_neigh;

/* Sends the packet out of a known device; the kernel finds route, neighbour and MACs. Returns a TC
 * verdict. */
static __always_inline int forward_out(u32 ifindex)
{
	return redirect_neigh(ifindex, 0, 0, 0);
}

/* Routes the packet to `daddr` as the kernel's own forwarding would, and sends it. Needs forwarding
 * enabled on the device it came in by. Returns a TC verdict. */
static __always_inline int forward_routed(struct __sk_buff *skb, const struct packet *pkt,
					  const struct flow *peer)
{
	struct bpf_fib_lookup fib = {};
	u8 macs[12];
	int err;

	fib.family = 2; /* AF_INET */
	fib.l4_protocol = pkt->flow.proto;
	fib.sport = peer->dport;
	fib.dport = peer->sport;
	fib.ifindex = skb->ingress_ifindex;
	fib.ipv4_src = v4_from_addr(&peer->daddr);
	fib.ipv4_dst = v4_from_addr(&peer->saddr);
	err = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (err == BPF_FIB_LKUP_RET_NO_NEIGH) {
		count(EVENT_NEIGH_SLOW);
		return forward_out(fib.ifindex);
	}
	if (err == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return drop(DROP_TOO_BIG);
	if (err != BPF_FIB_LKUP_RET_SUCCESS)
		return drop(DROP_NO_ROUTE);
	__builtin_memcpy(macs, fib.dmac, 6);
	__builtin_memcpy(macs + 6, fib.smac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return drop(DROP_INTERNAL);
	return bpf_redirect(fib.ifindex, 0);
}

#endif
