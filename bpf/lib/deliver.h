/* deliver.h: what came through a session of a local socket's, given to that socket. */
#ifndef UNILB_DELIVER_H
#define UNILB_DELIVER_H

#include "forward.h"

/* Hands a packet to the local socket, as if the VPC device had received it. */
static __always_inline int deliver(ctx_t *ctx, const struct machine *machine)
{
	u8 macs[12];

	__builtin_memcpy(macs, machine->vpc_mac, 6);
	__builtin_memcpy(macs + 6, machine->inner_mac, 6);
	if (ctx_header_store(ctx, 0, macs, sizeof(macs)))
		return -DROP_INTERNAL;
#ifdef UNILB_XDP
	/* What its other end sends, the device receives. */
	return bpf_redirect(machine->vpc_peer_ifindex, 0);
#else
	return bpf_redirect(machine->vpc_ifindex, BPF_F_INGRESS);
#endif
}

#endif
