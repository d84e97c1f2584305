"""A NAT gateway that is deleted gives its address and its network interface back, as on AWS.

moto 5.2.5 only changes its state, so an address could never serve another gateway (Amazon VPC user
guide, NAT gateways: deleting one disassociates its Elastic IP address, but does not release it).
"""

from typing import Any


def install() -> None:
    """Make moto's EC2 let go of what a deleted gateway held."""
    from moto.ec2.models.nat_gateways import NatGatewayBackend

    deletes = NatGatewayBackend.delete_nat_gateway

    def delete(backend: Any, nat_gateway_id: str) -> Any:
        gateway = deletes(backend, nat_gateway_id)
        for address in gateway.address_set:
            associated = {held.association_id for held in backend.addresses}
            if address.get("associationId") in associated:
                backend.disassociate_address(association_id=address["associationId"])
            if address["networkInterfaceId"] in backend.enis:
                backend.delete_network_interface(address["networkInterfaceId"])
        return gateway

    NatGatewayBackend.delete_nat_gateway = delete
