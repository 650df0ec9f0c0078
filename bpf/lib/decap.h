/* decap.h: what arrives for this machine's VTEP, checked from the outside in. */
#ifndef UNILB_DECAP_H
#define UNILB_DECAP_H

#include "vxlan.h"

/* True for what is addressed to this machine's end of the tunnels. */
static __always_inline int is_ours(const struct packet *outer, const struct machine *machine)
{
	return addr_equal(&outer->flow.daddr, underlay(machine, &outer->flow.daddr));
}

/* True for UDP to our own VTEP: everything else that arrives on the underlay is none of our
 * business. */
static __always_inline int is_tunnel(const struct packet *outer, int parsed,
				     const struct machine *machine)
{
	return outer->flow.proto == IPPROTO_UDP && is_ours(outer, machine) &&
	       (outer->flow.dport == bpf_htons(VXLAN_PORT) || parsed == PARSED_FRAGMENT ||
		parsed == PARSED_IP_OPTIONS);
}

/* Returns enum drop_reason; counts what an allowed VTEP sends. */
static __always_inline int vtep_check(const struct packet *outer, u32 vni)
{
	struct vtep_key key = {.vni = vni};
	struct traffic *traffic;

	key.vtep = outer->flow.saddr;
	traffic = vteps.lookup(&key);
	if (!traffic) {
		key.vtep = (struct addr){};
		return vteps.lookup(&key) ? DROP_VTEP_UNKNOWN : DROP_VNI_UNKNOWN;
	}
	traffic->packets += 1;
	traffic->bytes += outer->ip_len;
	return DROP_NONE;
}

/* Checks the tunnel packet `outer` and parses the one within. Returns enum drop_reason; `*parsed`
 * is PARSED_OK or PARSED_ICMP_ERROR on DROP_NONE. */
static __always_inline int decap_check(ctx_t *ctx, const struct packet *outer,
				       const struct machine *machine, struct packet *inner,
				       int *parsed)
{
	void *data, *data_end, *vxlan;
	u32 vni = 0;
	int reason;

	if (*parsed != PARSED_OK)
		return *parsed == PARSED_FRAGMENT || *parsed == PARSED_IP_OPTIONS
			   ? unparsed_reason(*parsed)
			   : DROP_MALFORMED;
	pull(ctx, ETH_LEN + OUTER6_LEN + IPV6_LEN + TCP_MIN_LEN);
	data = ctx_data(ctx);
	data_end = ctx_data_end(ctx);
	vxlan = data + ETH_LEN + UDP_LEN + (outer->v6 ? IPV6_LEN : IPV4_LEN);
	reason = vxlan_check(vxlan, data_end, machine, &vni);
	reason = reason ?: vtep_check(outer, vni);
	if (reason != DROP_NONE)
		return reason;
	/* The parser wants an offset that is known when it is compiled. */
	*parsed =
	    outer->v6 ? parse_frame(ctx, OUTER6_LEN, inner) : parse_frame(ctx, OUTER_LEN, inner);
	inner->flow.vni = vni;
	if (*parsed == PARSED_NOT_IP)
		return DROP_MALFORMED;
	if (*parsed != PARSED_OK && *parsed != PARSED_ICMP_ERROR)
		return unparsed_reason(*parsed);
	return ecn_lost(outer->tos, inner->tos) ? DROP_ECN : DROP_NONE;
}

/* Takes the tunnel off and carries its congestion mark inside. Returns 0 or a drop reason. */
static __always_inline int decap(ctx_t *ctx, const struct packet *outer, struct packet *inner)
{
	u32 len = outer->v6 ? OUTER6_LEN : OUTER_LEN;

	if (vxlan_pop(ctx, outer, inner))
		return DROP_ENCAP;
	inner->l3 -= len;
	inner->l4 -= len;
	if (ecn_decap(ctx, inner, outer->tos))
		return DROP_INTERNAL;
	count(EVENT_DECAP);
	return DROP_NONE;
}

#endif
