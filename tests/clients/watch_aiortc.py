"""Watches a stream by WHEP with aiortc, whose ICE, DTLS, SRTP and H.264 depacketisation are written in Python, and prints
what it saw as one JSON object: how many pictures, their sizes, whether their times grow, and the status of the goodbye.

    python3 watch_aiortc.py http://127.0.0.1:8080/whep/name?view=received pictures seconds
"""

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription


def ask(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body else {}
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


async def offered(endpoint, sdp):
    """The answer; asks again while nobody publishes, as often as the server says."""
    while True:
        status, headers, text = await asyncio.to_thread(ask, "POST", endpoint, sdp)
        if status == 201:
            return headers["Location"], text
        if status != 409:
            sys.exit(f"the offer was answered {status}: {text}")
        await asyncio.sleep(float(headers["Retry-After"]))


async def main(endpoint, wanted, limit):
    # Without a word it would ask a STUN server on the open network.
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sight = peer.addTransceiver("video", direction="recvonly")
    codecs = RTCRtpReceiver.getCapabilities("video").codecs
    sight.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
    await peer.setLocalDescription(await peer.createOffer())
    location, answer = await asyncio.wait_for(offered(endpoint, peer.localDescription.sdp.encode()), limit)
    session = urllib.parse.urljoin(endpoint, location)
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    seen, sizes, grows, last = 0, set(), True, None

    async def watch():
        nonlocal seen, grows, last
        while seen < wanted:
            picture = await sight.receiver.track.recv()
            seen += 1
            sizes.add((picture.width, picture.height))
            grows = grows and (last is None or picture.pts > last)
            last = picture.pts

    try:
        await asyncio.wait_for(watch(), limit)
    except asyncio.TimeoutError:
        pass
    goodbye, _, _ = await asyncio.to_thread(ask, "DELETE", session)
    print(json.dumps({"pictures": seen, "sizes": sorted(sizes), "grows": grows, "goodbye": goodbye}), flush=True)
    await peer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
