"""Where moto 5.2.5's EC2 differs from AWS in a way that stops a deployment or a preflight."""

from collections.abc import Mapping, Sequence
from typing import Any


def install() -> None:
    """Correct moto in this process."""
    _let_go_of_what_a_deleted_nat_gateway_held()
    _find_endpoint_services_by_filters()


def _let_go_of_what_a_deleted_nat_gateway_held() -> None:
    """Give the address and the network interface back.

    moto only changes the gateway's state, so an address could never serve another one (Amazon VPC
    user guide, NAT gateways: deleting one disassociates its Elastic IP address, but does not
    release it).
    """
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


def _find_endpoint_services_by_filters() -> None:
    """Read the filters of DescribeVpcEndpointServices.

    moto looks for their member `Value`; the request has `Values` (EC2 API reference, Filter).
    """
    from moto.ec2.models.vpcs import VPCBackend

    filtered = VPCBackend._filter_endpoint_services

    def filter_services(
        names: Sequence[str], filters: Sequence[Mapping[str, Any]], services: Sequence[Any]
    ) -> Any:
        both = [{"Value": one.get("Values", []), **one} for one in filters]
        return filtered(names, both, services)

    VPCBackend._filter_endpoint_services = staticmethod(filter_services)
