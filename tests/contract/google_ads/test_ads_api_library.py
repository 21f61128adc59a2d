"""What is borrowed from the vendor's library without a public name, so that an upgrade which moves it is noticed."""

import grpc
from google.ads.googleads import client as vendor
from google.ads.googleads.v26.services.services.conversion_upload_service import ConversionUploadServiceClient

from connectors.google_ads.ads_api.client import VERSION, Bearer, _in_plain_text


def _interceptors(channel: grpc.Channel) -> list[type]:
    """The interceptors a call passes, the outermost first."""
    found = []
    while hasattr(channel, "_interceptor"):
        found.append(type(channel._interceptor))
        channel = channel._channel
    return found


def test_plain_text_has_the_interceptors_of_production():
    """Headers and errors on loopback are then those of the real API."""
    client = vendor.GoogleAdsClient(Bearer("ya29.invented"), endpoint="127.0.0.1:9", version=VERSION)
    secure = client.get_service("ConversionUploadService")
    expected = _interceptors(secure.transport.grpc_channel)
    plain = _in_plain_text(secure, ConversionUploadServiceClient, client)
    found = _interceptors(plain.transport.grpc_channel)
    plain.transport.close()

    assert expected == found
    assert 3 == len(expected)


def test_the_options_of_channels_are_where_they_were():
    """Answers of up to 64 MB are read on loopback too, and our library's version is told."""
    assert ("grpc.max_receive_message_length", 64 * 1024 * 1024) in vendor._GRPC_CHANNEL_OPTIONS
    assert vendor._CLIENT_INFO.client_library_version is not None


def test_the_version_is_one_the_library_has():
    """An upgrade that drops it needs a new one here, before the old one is switched off."""
    assert VERSION in vendor._VALID_API_VERSIONS
