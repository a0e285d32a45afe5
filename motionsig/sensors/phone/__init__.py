"""A phone as a sensor: a page of ours in its browser sends its motion here, over HTTPS on the local network.

It is the one way in which raw motion enters from the network: only where a command asks for it, from one phone, and
until that command ends.

* `source`: the phone as a live source; `frame`: sign, unit and axes by browser; `clocks`: its clock on ours.
* `server`: what it talks to; `batches`: what it may send; `inbox`: what came, once each. `static`: the page.
"""

from motionsig.sensors.phone.source import Invitation, PhoneSource, open_phone

__all__ = ["Invitation", "PhoneSource", "open_phone"]
