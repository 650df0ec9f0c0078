/* tc_neigh.c: what XDP cannot do on an L4 node. A packet that l4_xdp has finished, but whose next
 * hop's MAC it does not know, comes up to here; the kernel asks for the MAC and then sends it. */
#include "forward.h"

int neigh_ingress(struct __sk_buff *skb)
{
	struct unresolved *note = (void *)(long)skb->data_meta;
	u32 ifindex;

	if ((void *)(note + 1) > ctx_data(skb) || note->magic != UNRESOLVED_MAGIC)
		return TC_ACT_UNSPEC;
	/* On a virtual wire the note would travel on, to whoever reads such notes there. */
	note->magic = 0;
	ifindex = note->ifindex;
	return send_unresolved(skb, ifindex);
}
