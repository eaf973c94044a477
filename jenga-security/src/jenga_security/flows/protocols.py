"""Names of protocols -> IANA numbers (https://www.iana.org/assignments/protocol-numbers)."""

from __future__ import annotations

# The keyword of each number from 0 on, lower case; "-" where IANA gives none.
_KEYWORDS = """
hopopt icmp igmp ggp ipv4 st tcp cbt egp igp bbn-rcc-mon nvp-ii pup argus emcon xnet chaos udp mux dcn-meas hmp prm xns-idp
trunk-1 trunk-2 leaf-1 leaf-2 rdp irtp iso-tp4 netblt mfe-nsp merit-inp dccp 3pc idpr xtp ddp idpr-cmtp tp++ il ipv6 sdrp
ipv6-route ipv6-frag idrp rsvp gre dsr bna esp ah i-nlsp swipe narp min-ipv4 tlsp skip ipv6-icmp ipv6-nonxt ipv6-opts - cftp -
sat-expak kryptolan rvd ippc - sat-mon visa ipcv cpnx cphb wsn pvp br-sat-mon sun-nd wb-mon wb-expak iso-ip vmtp secure-vmtp
vines iptm nsfnet-igp dgp tcf eigrp ospfigp sprite-rpc larp mtp ax.25 ipip micp scc-sp etherip encap - gmtp ifmp pnni pim aris
scps qnx a/n ipcomp snp compaq-peer ipx-in-ip vrrp pgm - l2tp ddx iatp stp srp uti smp sm ptp isis fire crtp crudp sscopmce iplt
sps pipe sctp fc rsvp-e2e-ignore mobility udplite mpls-in-ip manet hip shim6 wesp rohc ethernet aggfrag nsh
"""

# Other names in use: of Zeek, Suricata, nfdump, Argus (the tool behind UNSW-NB15) and of older lists.
_ALIASES = {
    "aes-sp3-d": 96, "bbn-rcc": 10, "dcn": 19, "icmp6": 58, "icmpv6": 58, "igrp": 88, "ip": 0, "ip-in-ip": 4, "ipencap": 4,
    "ipv6-no": 59, "ipx-n-ip": 111, "mhrp": 48, "mobile": 55, "mobility-header": 135, "nvp": 11, "ospf": 89, "pri-enc": 99,
    "rspf": 73, "sccopmce": 128, "sep": 33, "sipp-ah": 51, "sipp-esp": 50, "ttp": 84, "udp-lite": 136, "xns": 22,
}  # fmt: skip

NUMBERS: dict[str, int] = {word: at for at, word in enumerate(_KEYWORDS.split()) if word != "-"}
NUMBERS |= _ALIASES
NO_IP = frozenset(
    {"any", "arp", "ib", "rtp", "udt", "unas", "unknown", "unknown_transport", "zero"}
)  # not of IP, or not told


def number(text: str) -> int | None:
    """The number of a protocol given by name or number, None for `NO_IP`. Raises `ValueError` for anything else."""
    word = text.strip().lower()
    if word in NO_IP:
        return None
    if word in NUMBERS:
        return NUMBERS[word]
    if word.isascii() and word.isdigit() and int(word) <= 255:
        return int(word)
    raise ValueError(f"{text!r} is no IP protocol")
