"""Network flows in one schema, whatever wrote them: Zeek, Suricata, nfdump, and public data sets.

| column | unit |
| --- | --- |
| ts_start | seconds since 1970 UTC, when the flow began |
| src_ip, dst_ip | who opened the flow, and whom; an IPv4-mapped IPv6 address is the IPv4 address |
| src_port, port | of the two; 0 for protocols without ports |
| protocol | IANA number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6 |
| duration | seconds |
| bytes_sent, bytes_received | bytes of the source and of the responder, at the layer of `byte_layer` |
| packets_sent, packets_received | packets |
| packet_size | mean bytes per packet over both directions, at the layer of `byte_layer` |
| state | how the flow ended, in the words of its log |
| icmp_type, icmp_code | of ICMP, in logs; else missing |
| request_count | flows of the source in the `window` seconds up to this one, itself included; see `windows` |
| byte_layer | what `bytes_*` and `packet_size` count: payload, ip (with IP headers), ethernet (with all headers) |

Every other column of a log passes through under its own name, behind these.
"""
