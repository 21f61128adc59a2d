"""Private names we use of the vendor's library: an upgrade that moves them fails here."""

import grpc
from google.ads.googleads import client as vendor
from google.ads.googleads.v26.services.services.conversion_upload_service import ConversionUploadServiceClient

from connectors.google_ads.ads_api.client import VERSION, Bearer, _service_without_tls


def _interceptors(channel: grpc.Channel) -> list[type]:
    """The interceptors a call passes, outermost first."""
    found = []
    while hasattr(channel, "_interceptor"):
        found.append(type(channel._interceptor))
        channel = channel._channel
    return found


def test_plain_text_channel_has_the_interceptors_of_production():
    """So headers and errors on loopback match those of the real API."""
    client = vendor.GoogleAdsClient(Bearer("ya29.invented"), endpoint="127.0.0.1:9", version=VERSION)
    secure = client.get_service("ConversionUploadService")
    expected = _interceptors(secure.transport.grpc_channel)
    plain = _service_without_tls(secure, ConversionUploadServiceClient, client)
    found = _interceptors(plain.transport.grpc_channel)
    plain.transport.close()

    assert expected == found
    assert 3 == len(expected)


def test_library_still_has_the_channel_options_and_client_info():
    """Answers of up to 64 MB are read on loopback too, and our library's version is sent."""
    assert ("grpc.max_receive_message_length", 64 * 1024 * 1024) in vendor._GRPC_CHANNEL_OPTIONS
    assert vendor._CLIENT_INFO.client_library_version is not None


def test_library_supports_our_api_version():
    """If an upgrade drops it, we need a newer version here before the old one is sunset."""
    assert VERSION in vendor._VALID_API_VERSIONS
